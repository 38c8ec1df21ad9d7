"""The traced step: a program, the plan of its memory, and the engines that run it.

``trace`` runs the step on arrays that compute nothing and writes down what it does; ``plan`` finds a
place in memory for every value; an engine runs it. Nothing here knows any mathematics: the step comes
in as a function.
"""
