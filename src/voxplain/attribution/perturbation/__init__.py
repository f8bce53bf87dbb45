"""Attribution from the scores of perturbed clips."""
