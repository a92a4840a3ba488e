"""Random programs as text, and what must hold for every program."""
