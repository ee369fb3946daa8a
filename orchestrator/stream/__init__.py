"""What moves bytes around the pure core: journal, intake, processor, clock and the runtime."""
