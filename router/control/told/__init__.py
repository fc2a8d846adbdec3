"""What people and programs are told, and how their orders come in (`controller`)."""
