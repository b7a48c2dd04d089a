"""The same network run as a tutorial would: what the runtime is measured against."""
