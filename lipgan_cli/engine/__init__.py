"""The engine: it never prints, never exits and knows no terminal."""
