ByJx+9FVcO94hXsWU;<
