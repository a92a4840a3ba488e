"""Training in one statement: parametrizations, their classification, and the programs that `train` stands for."""
