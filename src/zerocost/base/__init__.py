"""What all other folders use: errors, seeds, conditions, fidelity, devices, the user's own code."""
