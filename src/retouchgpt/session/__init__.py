"""One photo, many instructions: the engine and its sessions."""
