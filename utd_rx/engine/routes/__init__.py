"""The HTTP surface: reading requests, asking the hub, writing replies. No rules here."""
