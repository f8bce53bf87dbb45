"""Attribution methods compared: runs, retraining, label randomisation, agreement, tests, tables and figures."""
