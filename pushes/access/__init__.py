"""Who may use the console and its JSON API: users, tokens, sessions. Knows no HTTP."""
