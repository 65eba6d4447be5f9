"""What every device needs: to be kept running, swapped, and brought back."""
