"""What the core promises, module by module; no I/O, no asyncio."""
