"""voxplain explains video classifiers, 3D ConvNets first."""

__version__ = "0.1.0"
