"""The Atoms voice agent: sessions over a raw WebSocket, without LiveKit (docs/agent.md)."""
