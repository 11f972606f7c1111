"""Ground floor: pure rules of the house. No I/O, no clock, no asyncio; imports nothing above."""
