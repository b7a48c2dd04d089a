"""One inference engine a file, imported on demand; `registry` opens them by name."""
