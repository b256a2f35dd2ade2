#include "daemon/pager/holder/holder.h"

int main(int argc, char* argv[]) { return pagelift::RunHolder(argc, argv); }
