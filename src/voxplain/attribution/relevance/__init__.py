"""Attribution by relevance that is propagated backwards through the network."""
