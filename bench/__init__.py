"""How fast it is and how it grows; `README.md` beside says what each figure means."""
