"""The benchmark: where a network runs fastest on this machine, and how near that is to its limit.

`chainrule bench run` measures, `report` shows, `recommend` answers for one network. Every contestant runs in
a process of its own; the processes take turns block by block, and what is reported is the ratio of
neighbouring blocks: a machine that is slow for a while does not move it.
"""
