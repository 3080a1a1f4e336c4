"""A trial of the real recorder under every fault there is, to be seen before it is trusted."""
