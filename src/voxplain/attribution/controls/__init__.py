"""Control maps that do not depend on the network."""
