"""Our own REST API: creators upload, publish and watch."""
