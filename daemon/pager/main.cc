#include "daemon/pager/holder/holder.h"
#include "daemon/pager/holder/start_receiver.h"

int main(int argc, char* argv[]) {
  if (!pagelift::StartReceiver(argc, argv)) return 1;
  return pagelift::RunHolder(argc, argv);
}
