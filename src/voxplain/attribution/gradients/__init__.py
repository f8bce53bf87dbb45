"""Attribution from gradients with respect to the input."""
