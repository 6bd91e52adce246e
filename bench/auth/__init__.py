"""Account benchmarks: the cost of logging in, and whether timing reveals which addresses have an account."""
