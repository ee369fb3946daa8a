"""The pages of the care teams and operators: HTML made here, working without script."""
