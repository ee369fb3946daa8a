"""What an accepted event means to the core, module by module."""
