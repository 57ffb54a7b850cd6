"""Training of small CLIPs: teachers, pseudo-labels, losses, frozen-prefix caches."""
