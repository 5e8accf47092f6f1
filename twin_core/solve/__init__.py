"""One way to integrate any model, and the schedule of its inputs."""
