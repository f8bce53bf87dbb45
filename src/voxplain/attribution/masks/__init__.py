"""Attribution by masks that are optimised for each clip."""
