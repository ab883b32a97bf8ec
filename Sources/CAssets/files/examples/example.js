// Shared by the examples.
