"""Who may do what: people with PINs, their sessions, and what each page asks for."""
