"""The asyncio shell: it runs sessions and carries sound and words between them and the world."""
