"""Virtual patients, to try the planner on before anybody else has to."""
