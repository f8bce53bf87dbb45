"""Attribution from the feature maps of a layer: class activation mapping and its relatives."""
