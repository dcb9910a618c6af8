"""ERR: how errors are answered. A refusal must say why to programs, and must tell attackers nothing."""
