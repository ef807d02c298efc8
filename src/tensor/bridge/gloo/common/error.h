// c10d's header wants this file, and nothing of what Gloo has in it.
#pragma once
