"""The pure core: standard library and numpy. No asyncio, sockets, files or clocks in here."""
