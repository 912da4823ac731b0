"""The live path: Socket.IO events, tracks and sessions."""
