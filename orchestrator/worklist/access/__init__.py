"""Who may see and do what: principals, roles, sign-in, limits."""
