"""The benchmark: the fastest way to run a network on this machine, compared with the machine's limit.

`chainrule bench run` measures, `report` shows, `recommend` answers for one network. Every contestant runs in
its own process. The processes take turns block by block, and the report gives the ratio of
neighbouring blocks, which does not change if the machine is slow for a while.
"""
