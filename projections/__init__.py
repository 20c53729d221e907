"""From events to exact rankings: windows, fold, Redis read model, worker, rebuild, verify."""
