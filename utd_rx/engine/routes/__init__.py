"""The HTTP surface: reading requests, asking the core, writing replies. No rules here."""
