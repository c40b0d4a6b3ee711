"""What everything stands on: errors, seeds, conditions, fidelity, devices, the user's own code."""
