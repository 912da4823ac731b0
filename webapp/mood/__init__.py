"""The mood stream: one settled state of a live session, for those whom its person let listen."""
