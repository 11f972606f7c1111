"""
Why a callback was refused: the space of likely mistakes is searched until a signature verifies.

Pure. `explain` (in `findings`) is what others use: a refused request and the clues about this
installation go in, and out comes the mistake by name, what was found, and the one line to change.
A signature that verifies is proof, whatever guess led to it; without one, nothing is called sure.
"""
