"""Which group a name, a variable or a launcher means."""

import pytest

from chainrule import ranks
from support.ranks import run


def test_names_and_the_variable(monkeypatch):
    monkeypatch.setenv("CHAINRULE_RANKS", "alone:tree")
    assert ranks.join().tree
    assert not ranks.join("alone").tree
    with pytest.raises(ValueError, match="ranks is 'mpi:sum'; give one of alone, alone:tree, mpi"):
        ranks.join("mpi:sum")
    with pytest.raises(ValueError, match="1, 2, 4 or 8 ranks, these are 3; leave ':tree' out"):
        run(3, lambda group: group, tree=True)


def test_a_launcher_without_ranks_warns_once(monkeypatch):
    ranks._warn_of_launcher.cache_clear()
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.warns(RuntimeWarning, match="4 processes would each train a network"):
        ranks.join()
    ranks.join()
    ranks._warn_of_launcher.cache_clear()
