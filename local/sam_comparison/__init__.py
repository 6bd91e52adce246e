"""Compare the emulator with AWS's own tool: run each event by `sam local invoke` and by `parley invoke`, and print differences."""
