-- Figures are kept by the program now (store/counting.py): it writes the sum of a batch once, where
-- these wrote for every row.

DROP TRIGGER figures_of_new;
DROP TRIGGER figures_of_deleted;
DROP TRIGGER figures_of_changed;
